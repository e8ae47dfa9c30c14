<?php

/**
 * What Symfony 8.1 calls of the deepclone extension, where neither that nor
 * symfony/polyfill-deepclone can be installed.
 *
 * deepclone_to_array() and deepclone_from_array() are documented to clone as
 * unserialize(serialize()) does, by way of an array without objects. Here that
 * array holds the text of serialize(), beside what DeepCloner looks at:
 *
 *   value       instead of all others: nothing in it needs a clone
 *   classes     the names of classes
 *   objectMeta  for each object the index of its class; here the root only
 *   prepared    the number of the root, if that is an object; here 0
 *
 * What it cannot do it refuses: closures, and a list of allowed classes.
 */

declare(strict_types=1);

namespace DeepClone {
    if (!class_exists(NotInstantiableException::class)) {
        class NotInstantiableException extends \InvalidArgumentException {}
        class ClassNotFoundException extends \InvalidArgumentException {}
    }
}

namespace {
    use DeepClone\ClassNotFoundException;
    use DeepClone\NotInstantiableException;

    if (!function_exists('deepclone_to_array')) {
        /**
         * @param list<class-string>|null $allowed_classes
         *
         * @return array<string, mixed>
         */
        function deepclone_to_array(mixed $value, ?array $allowed_classes = null, bool $allow_named_closures = false): array
        {
            if (null !== $allowed_classes) {
                throw new \LogicException('This polyfill knows no list of allowed classes.');
            }
            $isStatic = true;
            $look = static function (mixed $value) use (&$isStatic, &$look): void {
                if (is_resource($value)) {
                    throw new NotInstantiableException(sprintf('Type "%s resource" is not instantiable.', get_resource_type($value)));
                }
                if (is_array($value)) {
                    array_map($look, $value);
                }
                $isStatic = $isStatic && (!is_object($value) || $value instanceof \UnitEnum);
            };
            $look($value);
            if ($isStatic) {
                return ['value' => $value];
            }
            try {
                $text = serialize($value);
            } catch (\Exception $e) {
                throw new NotInstantiableException($e->getMessage(), 0, $e);
            }

            return ['classes' => is_object($value) ? [$value::class] : [], 'objectMeta' => [0], 'prepared' => is_object($value) ? 0 : null, 'text' => $text];
        }

        /**
         * @param array<string, mixed>    $data
         * @param list<class-string>|null $allowed_classes
         */
        function deepclone_from_array(array $data, ?array $allowed_classes = null, bool $allow_named_closures = false): mixed
        {
            if (null !== $allowed_classes) {
                throw new \LogicException('This polyfill knows no list of allowed classes.');
            }
            if (array_key_exists('value', $data)) {
                return $data['value'];
            }
            ['classes' => $classes, 'objectMeta' => $meta, 'prepared' => $root, 'text' => $text] = $data;
            if (!is_array($classes) || !is_array($meta) || !is_string($text)) {
                throw new \ValueError('This payload is not of deepclone_to_array().');
            }
            $index = $meta[0] ?? null;
            if (0 === $root && 0 !== $index) {
                $class = is_int($index) ? $classes[$index] ?? null : null;
                if (!is_string($class)) {
                    throw new \ValueError('This payload names no class for its root.');
                }
                if (!class_exists($class)) {
                    throw new ClassNotFoundException(sprintf('Class "%s" not found.', $class));
                }
                $text = preg_replace('/^([OC]):\d+:"[^"]+"/', '$1:' . strlen($class) . ':"' . addcslashes($class, '\\$') . '"', $text);
            }

            return unserialize((string) $text);
        }
    }
}
