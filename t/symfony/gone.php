<?php

/**
 * What the pools do when the server behind ephpm.kv_socket is gone: a line for
 * each thing that is so, and one for what PHP has warned of.
 *
 * gone.php AUTOLOAD
 */

declare(strict_types=1);

use Ephpm\Cache\Symfony\EphpmKvAdapter;
use Ephpm\Cache\Symfony\EphpmKvTagAwareAdapter;
use Ephpm\Cache\Symfony\Tests\RecordingLogger;

require $argv[1];

$warnings = [];
set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
    $warnings[] = $message;

    return true;
});
foreach ([EphpmKvAdapter::class, EphpmKvTagAwareAdapter::class] as $class) {
    $logger = new RecordingLogger();
    $pool = new $class('gone');
    $pool->setLogger($logger);
    $items = iterator_to_array($pool->getItems(['a', 'b']));
    $is = [
        'an item is a miss' => !$pool->getItem('a')->isHit() && !$pool->hasItem('a'),
        'so are several' => 2 === count($items) && !$items['a']->isHit() && !$items['b']->isHit(),
        'nothing is saved' => !$pool->save($pool->getItem('a')->set('value')),
        'a callback answers' => 'computed' === $pool->get('a', static fn(): string => 'computed'),
        'nothing is deleted' => !$pool->deleteItem('a'),
        'nothing is cleared' => !$pool->clear(),
        'no tag is invalidated' => !method_exists($pool, 'invalidateTags') || !$pool->invalidateTags(['tag']) && !$pool->invalidateTags(['tag', 'other']),
        'the log has warnings' => in_array('warning', $logger->levels(), true),
        '... of what could not be saved' => str_contains($logger->messages(), 'Failed to save key'),
    ];
    foreach ($is as $what => $so) {
        echo substr(strrchr($class, '\\'), 1), ': ', $what, ': ', $so ? 'yes' : 'no', "\n";
    }
}
echo implode("\n", $warnings), "\n";
