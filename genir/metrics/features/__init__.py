"""Sets of images compared in features (N, F): plain functions that do not know the network.

frechet            distance of two Gaussians
kernel             unbiased polynomial MMD, with a standard error: for small sets
precision_recall   share of images on the real manifold, share of real images that are covered
copies             is an image a training image?

Only in Inception's features do the distances bear the names FID and KID: say whose features beside every number.
"""
