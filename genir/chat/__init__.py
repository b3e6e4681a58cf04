"""Questions, also about images, to a language model.

ask     Question -> checked Answer: batches, retries, cache
server  an OpenAI-compatible server
local   an image-text-to-text model of transformers
"""
