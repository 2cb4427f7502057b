# See LICENSE file for copyright and licence details.
# Fetch a maildrop by Perl's Net::POP3 into files DIR/1, DIR/2, ... and DIR/1.top (TOP 1 2), ...
# net_pop3.pl PORT starttls|wrap CA USER PASSWORD DIR keep|delete
use strict;
use warnings;
use Net::POP3;

my ($port, $tls, $ca, $user, $password, $dir, $what) = @ARGV;
my @ssl = (SSL_ca_file => $ca, SSL_verifycn_name => 'localhost');

sub save
{
	my ($name, $lines) = @_;
	open(my $f, '>:raw', "$dir/$name") or die "$dir/$name: $!\n";
	print $f @$lines;
	close($f) or die "$dir/$name: $!\n";
}

my $p = Net::POP3->new('localhost', Port => $port, Timeout => 30,
	$tls eq 'wrap' ? (SSL => 1, @ssl) : ()) or die "connect: $@\n";
if ($tls eq 'starttls') {
	$p->starttls(@ssl) or die "stls: ", $p->message, " $@\n";
}
my $n = $p->login($user, $password);
defined $n or die "login: ", $p->message, "\n";
my $list = $p->list or die "list: ", $p->message, "\n";
my $uidl = $p->uidl or die "uidl: ", $p->message, "\n";
my ($count, $octets) = $p->popstat;
my $sum = 0;
$sum += $_ for values %$list;
$count == keys %$list && $count == keys %$uidl && $octets == $sum or die "counts differ\n";
for my $i (sort { $a <=> $b } keys %$list) {
	save($i, $p->get($i) || die "get $i: ", $p->message, "\n");
	save("$i.top", $p->top($i, 2) || die "top $i: ", $p->message, "\n");
	if ($what eq 'delete') {
		$p->delete($i) or die "delete $i: ", $p->message, "\n";
	}
}
$p->quit or die "quit: ", $p->message, "\n";
print "$count\n";
