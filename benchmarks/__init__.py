"""How fast and how large the mirror is, beside the programs that people use today.

`make bench`, or `python -m benchmarks [NAME ...]`. Every ratio is of two measurements of one run,
taken in turns: absolute times depend on the machine and on what else it does.
"""
