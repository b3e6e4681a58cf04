"""The recipe of the embedded model: procedural scenes, photographs, autoencoder, text encoders, UNet."""
