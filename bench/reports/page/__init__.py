"""One page of any number of runs, studies and sweeps: a table, and figures that can be asked.

gathered.py  rows of all folders   figure.py  what a figure is   accuracy.py costs.py courses.py pictures.py  the figures
table.py     the table             html.py    the page
"""
