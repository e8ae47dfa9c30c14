# Tests of the ephpm command.
