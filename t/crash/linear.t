#!/bin/sh
# Histories of a few keys, recorded with kills, are linearizable.
exec "${EPHPM_BUILDDIR:-.}/t/crash/linear" --rounds 60 --seconds 20
