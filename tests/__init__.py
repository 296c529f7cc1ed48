import gc

# What the libraries define stays, and to look through it for garbage again and again would take a tenth of the run.
gc.set_threshold(20_000, 20, 20)
