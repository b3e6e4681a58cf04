"""Batches of pictures -> losses of the learned pair; every objective is differentiable and composed by weights.

denoise    positives and negatives, each under its own prompt (GenIR)
pair       a positive against its own negative (Diffusion-DPO, Diffusion-NPO)
reward     a classifier's opinion of a guided step (ReNeg)
classifier the small network behind `reward`
"""
