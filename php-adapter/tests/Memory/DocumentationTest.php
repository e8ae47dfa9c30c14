<?php

declare(strict_types=1);

namespace Ephpm\Cache\Symfony\Tests\Memory;

use Ephpm\Cache\Symfony\KvOpsInterface;
use NitroCache\Client;
use PHPUnit\Framework\TestCase;

/**
 * What a caller may call is documented: where it stands, or in the interface
 * or class that asks for it.
 */
final class DocumentationTest extends TestCase
{
    public function testEachPublicMethodIsDocumented(): void
    {
        $missing = [];
        $seen = 0;
        foreach (self::classes() as $class) {
            foreach ($class->getMethods(\ReflectionMethod::IS_PUBLIC) as $method) {
                if ($method->getDeclaringClass()->getName() !== $class->getName()) {
                    continue;
                }
                ++$seen;
                if (!self::isDocumented($method)) {
                    $missing[] = $class->getName() . '::' . $method->getName() . '()';
                }
            }
        }
        self::assertGreaterThan(100, $seen);
        self::assertSame([], $missing);
    }

    /**
     * @return iterable<\ReflectionClass<object>>
     */
    private static function classes(): iterable
    {
        foreach ([KvOpsInterface::class, Client::class] as $one) {
            $class = new \ReflectionClass($one);
            $folder = \dirname((string) $class->getFileName());
            foreach (new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator($folder, \FilesystemIterator::SKIP_DOTS)) as $file) {
                self::assertInstanceOf(\SplFileInfo::class, $file);
                $name = $class->getNamespaceName() . strtr(substr($file->getPathname(), \strlen($folder), -4), '/', '\\');
                // That file has the global name of Client.
                if ('NitroCache\\NitroCache' === $name) {
                    continue;
                }
                if (class_exists($name) || interface_exists($name) || trait_exists($name)) {
                    yield new \ReflectionClass($name);
                }
            }
        }
    }

    private static function isDocumented(\ReflectionMethod $method): bool
    {
        if (false !== $method->getDocComment()) {
            return true;
        }
        $of = $method->getDeclaringClass();
        foreach ([$of->getParentClass() ?: null, ...array_values($of->getInterfaces())] as $above) {
            if ($above?->hasMethod($method->getName()) && self::isDocumented($above->getMethod($method->getName()))) {
                return true;
            }
        }

        return false;
    }
}
