"""Which part of the liver each vessel branch feeds or drains."""
