# The ephpm command.
