# See LICENSE file for copyright and licence details.
# One mail from stdin by Perl's Net::SMTP.
# net_smtp.pl PORT clear|starttls|wrap CA MECH|- USER PASSWORD SENDER RECIPIENT
use strict;
use warnings;
use Net::SMTP;
use Authen::SASL qw(Perl);

my ($port, $tls, $ca, $mech, $user, $password, $sender, $rcpt) = @ARGV;
my @ssl = (SSL_ca_file => $ca, SSL_verifycn_name => 'localhost');
binmode STDIN;
my $mail = do { local $/; <STDIN> };
my $s = Net::SMTP->new('localhost', Port => $port, Hello => 'client.example.org', Timeout => 30,
	$tls eq 'wrap' ? (SSL => 1, @ssl) : ()) or die "connect: $@\n";
if ($tls eq 'starttls') {
	$s->starttls(@ssl) or die "starttls: ", $s->message, " $@\n";
}
if ($mech ne '-') {
	my $sasl = Authen::SASL->new(mechanism => $mech,
		callback => { user => $user, pass => $password, authname => '' });
	$s->auth($sasl) or die "auth: ", $s->message, "\n";
}
$s->mail($sender) or die "mail: ", $s->message, "\n";
$s->to($rcpt) or die "rcpt: ", $s->message, "\n";
$s->data() or die "data: ", $s->message, "\n";
$s->datasend($mail);
$s->dataend() or die "end of data: ", $s->message, "\n";
print $s->message;
$s->quit;
