"""genir: mass-generate clean, measured training images for image restoration."""

__version__ = "0.1.0.dev0"
