"""Labels of an image in the seven visual domains of Joint-1.6M (Jodi, arXiv 2505.19084).

backends     domain -> name -> who predicts it, what it needs, its licence
draw         prediction -> uint8 label, and the checks that a label must pass
selfcheck    a rendered scene whose labels are known: is a backend the right way round?
"""
