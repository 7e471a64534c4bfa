"""Pictures: functions from documents or arrays to matplotlib figures.

There is one module for each subject. The callers save the figures.
"""
