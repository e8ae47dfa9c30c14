# The Apache httpd module.
