"""A cohort of cases: which there are, run on a cluster of workers, and taken up again where it was left."""
