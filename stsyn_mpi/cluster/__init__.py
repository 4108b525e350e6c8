"""Batch scripts for PBS and Slurm: sites, what a job asks for, writing, submitting."""
