#!/bin/sh
# Each operation broken off after each of its instructions, in short: a third
# of the cases, killed at 60 instructions each (./dev torture: at every one).
exec "${EPHPM_BUILDDIR:-.}/t/crash/step" --part 1/3 --kills 60
