# The Symfony application that ./dev serve runs.

EXTRA_DIST += \
	demo/bin/console \
	demo/composer.json \
	demo/config/bundles.php \
	demo/config/packages/ephpm_cache.yaml \
	demo/config/packages/framework.yaml \
	demo/config/packages/twig.yaml \
	demo/config/routes.yaml \
	demo/config/services.yaml \
	demo/ephpm.toml \
	demo/plain/index.php \
	demo/public/favicon.svg \
	demo/public/index.php \
	demo/public/style.css \
	demo/src/Command/StoreCommand.php \
	demo/src/Controller/ApiController.php \
	demo/src/Controller/HomeController.php \
	demo/src/Kernel.php \
	demo/src/Posts.php \
	demo/src/Visits.php \
	demo/templates/home.html.twig
