# The Composer package: PHP only, installed as it is, for a path repository.

nobase_dist_pkgdata_DATA = \
	php-adapter/LICENSE \
	php-adapter/README.md \
	php-adapter/composer.json \
	php-adapter/laravel/EphpmCacheServiceProvider.php \
	php-adapter/laravel/EphpmLock.php \
	php-adapter/laravel/EphpmStore.php \
	php-adapter/nitrocache/Client.php \
	php-adapter/nitrocache/NitroCache.php \
	php-adapter/nitrocache/NitroCacheInterface.php \
	php-adapter/src/AtomicKvOpsInterface.php \
	php-adapter/src/BulkKvOpsInterface.php \
	php-adapter/src/ComputeOnceTrait.php \
	php-adapter/src/DependencyInjection/LockPass.php \
	php-adapter/src/DependencyInjection/PoolAdapterPass.php \
	php-adapter/src/EphpmCacheBundle.php \
	php-adapter/src/EphpmKvAdapter.php \
	php-adapter/src/EphpmKvTagAwareAdapter.php \
	php-adapter/src/EphpmLockStore.php \
	php-adapter/src/InMemoryKvOps.php \
	php-adapter/src/KvOpsInterface.php \
	php-adapter/src/NamespaceVersion.php \
	php-adapter/src/SapiKvOps.php \
	php-adapter/wordpress/object-cache.php

EXTRA_DIST += \
	php-adapter/.php-cs-fixer.dist.php \
	php-adapter/phpstan.dist.neon \
	php-adapter/phpunit.xml.dist \
	php-adapter/tests/AdapterTestCase.php \
	php-adapter/tests/Bundle/BundleTest.php \
	php-adapter/tests/Bundle/TestKernel.php \
	php-adapter/tests/ComputeTestCase.php \
	php-adapter/tests/FullAdapterTestCase.php \
	php-adapter/tests/KvOpsTestCase.php \
	php-adapter/tests/Memory/ComputeTest.php \
	php-adapter/tests/Memory/FullAdapterTest.php \
	php-adapter/tests/LockStoreTestCase.php \
	php-adapter/tests/Memory/InMemoryKvOpsTest.php \
	php-adapter/tests/Memory/KvOpsTest.php \
	php-adapter/tests/Memory/LockStoreTest.php \
	php-adapter/tests/Memory/NamespaceVersionTest.php \
	php-adapter/tests/Memory/NineMethodsAdapterTest.php \
	php-adapter/tests/Memory/NoStoreTest.php \
	php-adapter/tests/Memory/NitroCacheTest.php \
	php-adapter/tests/Memory/Psr16Test.php \
	php-adapter/tests/Memory/Psr6Test.php \
	php-adapter/tests/Memory/StoreTrait.php \
	php-adapter/tests/Memory/TagAwareAdapterTest.php \
	php-adapter/tests/Memory/TaggedPsr6Test.php \
	php-adapter/tests/NamespaceVersionTestCase.php \
	php-adapter/tests/NineMethodsAdapterTestCase.php \
	php-adapter/tests/Processes/Fork.php \
	php-adapter/tests/Processes/LockTest.php \
	php-adapter/tests/Processes/NitroCacheTest.php \
	php-adapter/tests/Processes/TagTest.php \
	php-adapter/tests/NitroCacheTestCase.php \
	php-adapter/tests/RecordingFullKvOps.php \
	php-adapter/tests/RecordingKvOps.php \
	php-adapter/tests/RecordingLogger.php \
	php-adapter/tests/Sapi/ComputeTest.php \
	php-adapter/tests/Sapi/FullAdapterTest.php \
	php-adapter/tests/Sapi/KvOpsTest.php \
	php-adapter/tests/Sapi/LockStoreTest.php \
	php-adapter/tests/Sapi/NamespaceVersionTest.php \
	php-adapter/tests/Sapi/NineMethodsAdapterTest.php \
	php-adapter/tests/Sapi/NitroCacheTest.php \
	php-adapter/tests/Sapi/Psr16Test.php \
	php-adapter/tests/Sapi/Psr6Test.php \
	php-adapter/tests/Sapi/StoreTrait.php \
	php-adapter/tests/Sapi/TagAwareAdapterTest.php \
	php-adapter/tests/Sapi/TaggedPsr6Test.php \
	php-adapter/tests/TagAwareAdapterTestCase.php \
	php-adapter/tests/install \
	php-adapter/tests/polyfill-deepclone.php \
	php-adapter/tests/polyfill.php
