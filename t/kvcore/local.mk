# Unit tests of the store: one program for each of its files.
