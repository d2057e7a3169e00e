"""Networks: a data path of slices, blocks, one recipe of training for all of them, and each network in a folder."""
