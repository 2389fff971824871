"""``flr review``: a local web page to move the cut and see the numbers follow."""
