"""One page of any number of runs, studies and sweeps: a table, and figures that can be asked.

gathered.py  rows of all folders    accuracy.py costs.py courses.py pictures.py  the figures
figure.py    what a figure is       table.py  the table      html.py  the page
"""
