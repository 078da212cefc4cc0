#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
#
# Runs the tests named in a list, or those of them that contain one of the
# words given after it, and ends with one line: N passed, N failed.
#
#     perl test/run_tests.pl build/tests.list [WORD...]
#
# A program that crashes, hangs, exits with an error or breaks off before its
# plan counts as one more failure, beside the checks that it reported.
use strict;
use warnings;

eval { require TAP::Harness }
	or die "run_tests.pl: TAP::Harness is missing; "
		. "on Debian: apt-get install perl\n";

my $seconds = 300 * ($ENV{FH_PATIENCE} // 1);

# How the programs of some variants are run, by the name of their directory.
my @how = (
	[ qr{^build/\S*asan/} => qw(
		ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
		UBSAN_OPTIONS=print_stacktrace=1 ) ],
	[ qr{^build/\S*tsan/} =>
		'TSAN_OPTIONS=halt_on_error=1 second_deadlock_stack=1' ],
);

# How much of its full length a test of a variant runs, in percent, unless the
# environment says.  The mutants are hunted at 20.
my %scale = (release => 50, mutex => 30, clang => 20);
my $scale = 10;

# The thread sanitizer wants its addresses where it expects them.
my @fixed = system('setarch -R true 2>/dev/null') ? () : qw(setarch -R);

sub command {
	my ($harness, $test) = @_;
	return [ 'python3', $test ] if $test =~ /\.py$/;
	return [ 'sh', $test ] if $test =~ /\.sh$/;
	my ($variant) = $test =~ m{^build/([^/]+)/};
	my @set = map { $test =~ $_->[0] ? @$_[1 .. $#$_] : () } @how;
	push @set, 'FH_TEST_SCALE=' . ($ENV{FH_TEST_SCALE}
		// $scale{$variant} // $scale);
	my @run = $test =~ /tsan/ ? @fixed : ();
	return [ 'env', @set, 'timeout', '-k', 5, $seconds, @run, $test ];
}

sub listed {
	my ($list, @words) = @_;
	open(my $file, '<', $list) or die "$list: $!\n";
	chomp(my @tests = <$file>);
	return @tests unless @words;
	return grep { my $test = $_; grep { index($test, $_) >= 0 } @words }
		@tests;
}

# Programs that failed in another way than by a check that was not ok.
sub broken {
	my ($results) = @_;
	my $count = 0;
	for my $parser ($results->parsers) {
		next if $parser->failed;
		$count++ if $parser->exit || $parser->wait
			|| $parser->parse_errors;
	}
	return $count;
}

die "usage: $0 LIST [WORD...]\n" unless @ARGV;
my @tests = listed(@ARGV);
$| = 1;
my $harness = TAP::Harness->new(
	{ exec => \&command, jobs => 2, failures => 1, comments => 1, timer => 1,
	  color => -t STDOUT });
my $results = $harness->runtests(@tests);

my $passed = $results->passed;
my $failed = $results->failed + broken($results);
my $skipped = $results->skipped;
print "$skipped of those that passed were skipped\n" if $skipped;
print "$passed passed, $failed failed\n";
exit($failed || !$passed ? 1 : 0);
