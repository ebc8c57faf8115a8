# What program.ts does, with OpenAPI::Client, which makes its calls from the contract at run time.
use strict;
use warnings;
use utf8;
use Mojo::URL;
use OpenAPI::Client;

my $client = OpenAPI::Client->new($ENV{CONTRACT});
$client->base_url(Mojo::URL->new($ENV{URL}));
$client->ua->on(start => sub { $_[1]->req->headers->header('x-api-key' => $ENV{KEY}) });

sub ok { my ($got, $want, $what) = @_; $got eq $want or die "$what: got $got, want $want\n" }
sub call {
    my ($status, $operation, @arguments) = @_;
    my $res = $client->call($operation, @arguments)->res;
    ok($res->code // 0, $status, "$operation: " . $res->body);
    return $res->json;
}
my $expires = '2030-01-31T12:00:00Z';
sub create { my %key = @_; return call(201, createApiKey => {}, json => { expires_at => $expires, %key }) }

# Another owner's key, not the caller's own of the same name.
create(name => 'same name');
create(name => 'same name', owner => 'customer-42');
ok(call(200, revokeApiKey => { key_name => 'same name', owner => 'customer-42' })->{owner}, 'customer-42', 'revoked');
ok(call(200, getApiKey => { key_name => 'same name' })->{status}, 'ACTIVE', 'own');
ok(call(200, getApiKey => { key_name => 'same name', owner => 'customer-42' })->{status}, 'REVOKED', 'other');

# All keys of an owner, one each page.
create(name => $_, owner => 'customer & co') for qw(one two three);
my (@names, $cursor);
do {
    my $page = call(200, listApiKeys => { owner => 'customer & co', items_per_page => 1, $cursor ? (cursor => $cursor) : () });
    push @names, map { $_->{name} } @{ $page->{data} };
    $cursor = $page->{pagination}{next_cursor};
} while $cursor;
ok("@names", 'three two one', 'list');

# null is not the same as absent.
create(name => 'limited', rate_limit => { limit => 9, window_seconds => 60 });
ok(call(200, getApiKey => { key_name => 'limited' })->{rate_limit}{limit}, 9, 'limit');
ok(exists call(200, updateApiKey => { key_name => 'limited' }, json => { rate_limit => undef })->{rate_limit} ? 1 : 0, 0, 'no limit');

# A new secret at once; the old one ends.
my $created = create(name => 'rotated');
my $rotated = call(200, rotateApiKey => { key_name => 'rotated' });
ok(call(200, verifyApiKey => {}, json => { key => $created->{secret} })->{code}, 'NOT_FOUND', 'old secret');
ok(call(200, verifyApiKey => {}, json => { key => $rotated->{secret} })->{code}, 'VALID', 'new secret');
ok(call(200, introspectToken => { token => $rotated->{secret} }, form => { token => $rotated->{secret} })->{active}, 1, 'introspection');

# A name with what paths and queries are made of.
my $awkward = create(name => 'a/b 100% ?x=1&y#z ü+');
ok(call(200, getApiKey => { key_name => $awkward->{name} })->{id}, $awkward->{id}, 'awkward name');
ok(call(200, revokeApiKey => { key_name => $awkward->{name} })->{status}, 'REVOKED', 'awkward name');

# Errors say what is wrong.
ok(call(404, getApiKey => { key_name => 'nowhere' })->{code}, 'KEY_NOT_FOUND', 'error');
ok(call(400, createApiKey => {}, json => { name => 'old', expires_at => '2020-01-31T12:00:00Z' })->{code}, 'INVALID_REQUEST', 'error');
ok(call(409, createApiKey => {}, json => { name => 'rotated', expires_at => $expires })->{code}, 'NAME_TAKEN', 'error');
