# The Symfony application that ./dev serve runs.
