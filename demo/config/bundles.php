<?php

return [
    Symfony\Bundle\FrameworkBundle\FrameworkBundle::class => ['all' => true],
    Symfony\Bundle\TwigBundle\TwigBundle::class => ['all' => true],
    Ephpm\Cache\Symfony\EphpmCacheBundle::class => ['all' => true],
];
