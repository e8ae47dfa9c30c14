<?php

declare(strict_types=1);

namespace Ephpm\Bench\Symfony;

use Ephpm\Cache\Symfony\EphpmCacheBundle;
use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

/**
 * An application with one page.  The environment says where the page's pool
 * is: `ephpm`, `apcu`, or `redis` at BENCH_REDIS.
 */
final class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    public function getProjectDir(): string
    {
        return __DIR__;
    }

    public function registerBundles(): iterable
    {
        return [new FrameworkBundle(), new EphpmCacheBundle()];
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $container->services()->set(EphpmKvAdapter::class)->args(['bench', 0]);
        $container->extension('framework', [
            'secret' => '',
            'annotations' => ['enabled' => false],
            'http_method_override' => false,
            'handle_all_throwables' => true,
            'php_errors' => ['log' => true],
            'cache' => ['pools' => ['bench.pool' => match ($this->environment) {
                'ephpm' => ['adapter' => EphpmKvAdapter::class],
                'redis' => ['adapter' => 'cache.adapter.redis', 'provider' => '%env(BENCH_REDIS)%'],
                default => ['adapter' => 'cache.adapter.apcu'],
            }]],
        ]);
        $container->services()->set(Page::class)->public()->args([service('bench.pool')])
            ->tag('controller.service_arguments');
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('page', '/')->controller(Page::class);
    }
}
