<?php

declare(strict_types=1);

namespace App\Controller;

use App\Posts;
use App\Visits;
use Ephpm\Cache\Symfony\SapiKvOps;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Attribute\AsController;
use Symfony\Component\Routing\Annotation\Route;
use Twig\Environment;

#[AsController]
final class HomeController
{
    private const POSTS_SHOWN = 6;

    #[Route('/', methods: ['GET'])]
    public function __invoke(Request $request, Environment $twig, Visits $visits, Posts $posts, SapiKvOps $kv): Response
    {
        $start = hrtime(true);
        $visit = $visits->count(Visits::PAGE);
        $answers = $visits->answers();
        $counters = [
            ['key' => Visits::PAGE, 'value' => (string) $visit, 'meaning' => 'visits to this page'],
            ['key' => Visits::API, 'value' => $kv->get(Visits::API), 'meaning' => 'requests to /api/visits'],
            ['key' => Posts::POST_RUNS, 'value' => $kv->get(Posts::POST_RUNS), 'meaning' => 'posts written the slow way'],
            ['key' => Posts::STAMPEDE_RUNS, 'value' => $kv->get(Posts::STAMPEDE_RUNS), 'meaning' => 'runs of the /api/stampede callback'],
        ];
        $shelf = [];
        for ($id = 1; $id <= self::POSTS_SHOWN; ++$id) {
            $shelf[] = ['id' => $id, 'title' => Posts::title($id), 'secondsLeft' => $posts->secondsLeft($id)];
        }
        $storeMicroseconds = intdiv(hrtime(true) - $start, 1000);

        $answersByPid = array_count_values($answers);
        arsort($answersByPid);

        return new Response($twig->render('home.html.twig', [
            'visit' => $visit,
            'pid' => getmypid(),
            'answers' => $answers,
            'workers' => $answersByPid,
            'hues' => array_flip(array_keys(array_count_values($answers))),
            'counters' => $counters,
            'shelf' => $shelf,
            'origin' => $request->getSchemeAndHttpHost(),
            'server' => $request->server->getString('SERVER_SOFTWARE'),
            'php' => \PHP_VERSION,
            'storeMicroseconds' => $storeMicroseconds,
        ]), headers: ['Content-Security-Policy' => "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'"]);
    }
}
