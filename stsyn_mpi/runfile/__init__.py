"""The HDF5 run file: schema, writer and reader."""
