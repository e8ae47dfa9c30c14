<?php

declare(strict_types=1);

require_once __DIR__ . '/lib.php';

ephpm_kv_set(key_of('key'), 'value');
ephpm_kv_get(key_of('key'));
ob_start();
phpinfo(INFO_MODULES);
$text = html_entity_decode(strip_tags(str_replace('</td>', ' => ', (string) ob_get_clean())), ENT_QUOTES);
$section = preg_match('/^\s*ephpm\s*$(.*?)^\s*ephpm\.cli_size/ms', $text, $match) === 1 ? $match[1] : '';
foreach (explode("\n", $section) as $line) {
    [$name, $value] = array_map(trim(...), [...explode('=>', $line), '', '']);
    if ($name !== '' && $value !== '' && $name !== 'Directive') {
        show($name, preg_match('/^[\d.]+$/', $value) === 1 ? 'a number' : $value);
    }
}
