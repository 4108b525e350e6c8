"""The virtual machine: delay laws and, on them, a virtual clock."""
