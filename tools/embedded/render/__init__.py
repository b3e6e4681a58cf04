"""A small procedural renderer: scene = f(subject, seed), any size, with exact depth, normals, albedo,
labels, captions.
"""
