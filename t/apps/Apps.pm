package Apps;

# Applications as Debian packages them, each as a copy of its own under
# mod_ephpm, and a browser that fills in their forms.
#
# Nothing in /usr or /var is written to, and nothing but loopback is spoken to.

use strict;
use warnings;
use Exporter qw(import);
use File::Temp qw(tempdir);
use FindBin qw($Bin);
use HTML::Form;
use HTTP::Cookies;
use LWP::UserAgent;
use Test::More;
use lib "$Bin/../symfony";
use Site qw(free_port run_command server_user slurp spew);

our @EXPORT_OK = qw(absent folder give_away copy_code serve stop browser page
    has lacks form submit log_is_clean $port);

binmode $_, ':encoding(UTF-8)'
    for map { Test::More->builder->$_ } qw(output failure_output todo_output);

our $port;
my ($folder, $parent);

# Why the application cannot be tested here, or undef.
sub absent {
    my (%package) = @_;
    my $reason = Site::can_load();
    return $reason if defined $reason;
    my @lost = grep { !-e $package{$_} } sort keys %package;
    return @lost ? "not installed: apt-get install @lost" : undef;
}

# A folder that the server's user can enter, wherever the checkout is.
sub folder {
    if (!defined $folder) {
        $folder = tempdir('ephpm-apps-XXXXXX', TMPDIR => 1, CLEANUP => 1);
        chmod 0755, $folder;
        mkdir "$folder/tmp" or die "$folder/tmp: $!";
        give_away("$folder/tmp");
    }
    return $folder;
}

sub must {
    my (@command) = @_;
    my ($code, $text) = run_command(@command);
    die "@command: exit code $code\n$text" if $code != 0;
    return $text;
}

# What an application writes belongs to the server's user.
sub give_away {
    my (@files) = @_;
    my $user = server_user();
    must('chown', '-R', "$user:$user", @files) if defined $user;
    return;
}

# copy_code(FROM, NAME, PART...) -> folder with all that is in FROM, or these
# parts of it, and files where the package has links to files
sub copy_code {
    my ($from, $name, @parts) = @_;
    my $to = folder() . "/$name";
    mkdir $to or die "$to: $!";
    must('cp', '-RL', (map { "$from/$_" } @parts ? @parts : '.'), $to);
    must('chmod', '-R', 'u+w,a+rX', $to);
    return $to;
}

# serve(ROOT, CONFIGURATION): everything in ROOT, .htaccess files included.
# Scripts cannot leave the copy, but for libraries, which they cannot change.
sub serve {
    my ($root, $configuration) = @_;
    my $modules = $ENV{HTTPD_MODULES_DIR} || '/usr/lib/apache2/modules';
    $port = free_port();
    my $loads = join '', map {
        "<IfModule !${_}_module>\n"
            . "LoadModule ${_}_module \"$modules/mod_$_.so\"\n</IfModule>\n"
    } qw(access_compat authz_host rewrite);
    $parent = Site::start(folder(), $port, <<"END");
$loads
AddType text/javascript .js
AddType image/png .png
DocumentRoot "$root"
DirectoryIndex index.php
<Directory "$root">
    AllowOverride All
    Options FollowSymLinks
    Require all granted
</Directory>
php_admin_value sys_temp_dir "@{[folder()]}/tmp"
php_admin_value upload_tmp_dir "@{[folder()]}/tmp"
php_admin_value open_basedir "@{[folder()]}:/usr/share"
php_value session.save_path "@{[folder()]}/tmp"
php_admin_value memory_limit 256M
php_admin_value max_execution_time 600
@{[$configuration // '']}
END
    return;
}

sub stop {
    my $stopped = Site::stop($parent);
    return ok $stopped, 'the server stops';
}

# A browser: it keeps cookies and follows redirections.
sub browser {
    return LWP::UserAgent->new(
        agent                 => 'Mozilla/5.0 (X11; Linux x86_64) t/apps',
        cookie_jar            => HTTP::Cookies->new,
        requests_redirectable => [qw(GET HEAD POST)],
        timeout               => 600,
        keep_alive            => 1,
        no_proxy              => ['127.0.0.1'],
    );
}

sub url {
    my ($path) = @_;
    return $path =~ /^http/ ? $path : "http://127.0.0.1:$port$path";
}

sub show {
    my ($response) = @_;
    my $text = $response->decoded_content // '';
    $text =~ s{<(script|style)\b.*?</\1>}{}gs;
    $text =~ s/<[^>]*>/ /g;
    $text =~ s/\s+/ /g;
    diag $response->request->method, ' ', $response->request->uri, ': ',
        $response->status_line, "\n", substr $text, 0, 1500;
    return;
}

# page(BROWSER, PATH, STATUS, PATTERN, WHAT) -> the response
sub page {
    my ($browser, $path, $status, $pattern, $what) = @_;
    return seen($browser->get(url($path)), $status, $pattern, $what);
}

sub seen {
    my ($response, $status, $pattern, $what) = @_;
    my $good = $response->code == $status
        && ($response->decoded_content // '') =~ $pattern;
    ok $good, $what or show($response);
    return $response;
}

sub has {
    my ($response, $pattern, $what) = @_;
    return seen($response, $response->code, $pattern, $what);
}

sub lacks {
    my ($response, $pattern, $what) = @_;
    my $good = $response->decoded_content !~ $pattern;
    ok $good, $what or show($response);
    return;
}

# The form of a page that has all of these fields.
sub form {
    my ($response, @fields) = @_;
    for my $form (HTML::Form->parse($response)) {
        $_->strict(0) for $form;
        return $form
            if !grep { !defined $form->find_input($_) } @fields;
    }
    show($response);
    die "no form on the page has the fields @fields\n";
}

# submit(BROWSER, FORM, {FIELD => VALUE...}, BUTTON, STATUS, PATTERN, WHAT)
# -> the response
sub submit {
    my ($browser, $form, $values, $button, $status, $pattern, $what) = @_;
    for my $name (sort keys %{$values}) {
        my $input = $form->find_input($name)
            // die "the form has no field $name\n";
        $input->readonly(0);
        $input->value($values->{$name});
    }
    my $request = defined $button ? $form->click($button) : $form->click;
    return seen($browser->request($request), $status, $pattern, $what);
}

# Nothing has crashed, and PHP has reported nothing but what is named here:
# faults of the application itself.
sub log_is_clean {
    my (@known) = @_;
    my @bad;
    for my $line (split /\n/, slurp(folder() . "/error-$port.log")) {
        next unless $line
            =~ /PHP [A-Z]|exit signal|:(?:error|crit|alert|emerg)\]/;
        push @bad, $line unless grep { $line =~ $_ } @known;
    }
    is join("\n", @bad), '', 'the error log has no fault that is not known';
    return;
}

1;
