"""Sets of images compared in the features of a small network that travels with genir: nothing is downloaded.

network            uint8 images -> features (N, 128)
frechet            distance of two Gaussians
kernel             unbiased polynomial MMD, with a standard error: for small sets
precision_recall   share of images on the real manifold, share of real images that are covered
copies             is an image a training image?

The distances are plain functions of any features (N, F). With this network's they are not FID or KID, whose
names belong to Inception's features: say "scene features" beside every number, and compare only numbers that
were made with equal image sizes and counts.
"""
