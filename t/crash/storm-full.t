#!/bin/sh
# The kill storm, in short (./dev torture: 100,000 kills).
exec "${EPHPM_BUILDDIR:-.}/t/crash/storm" full \
    --kills 2500 --seconds 15 --calm 20
