"""Sweeps: a grid of runs becomes rows, by many processes in one folder, and no row is lost or made twice.

grid.py  what a file asks for     points.py  the runs it stands for, checked     place.py  the folder
work.py  one row is made          executors.py  by whom                         report.py  what is left for readers
"""

from bench.sweeps.flat import rows

__all__ = ["rows"]
