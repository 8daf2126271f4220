"""One run on one GPU: tests, speeds, a training; results in one file."""
