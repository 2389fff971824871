"""Files: every axis convention dies here."""
