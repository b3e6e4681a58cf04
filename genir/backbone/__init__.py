"""Everything genir assumes about diffusers; importing this package imports neither torch nor diffusers.

files      where a model lies, what it consists of, hashes (no torch)
tokenizers how long prompts are for a model (no weights)
load       a model -> Backbone
model      Backbone: encode prompts, generate, encode images, loss
"""
