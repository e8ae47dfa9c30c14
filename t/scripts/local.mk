# PHP scripts and their expected answers, for every host of the extension.
