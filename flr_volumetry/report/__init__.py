"""An outcome as JSON, table, figures and HTML."""
