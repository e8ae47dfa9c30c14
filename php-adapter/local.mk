# The Composer package: PHP only, installed as it is.
