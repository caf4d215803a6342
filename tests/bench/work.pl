# Work of the perl row: what log scripts do. Reads a text, counts words and pairs of words, groups
# them by first letter, rewrites lines by regular expressions. Arguments: file, number of rounds.
use strict;
use warnings;

my ($file, $rounds) = @ARGV;
my $total = 0;

for my $round (1 .. $rounds) {
    my (%words, %pairs, %groups, @lines);
    open(my $input, '<', $file) or die "$file: $!";
    while (my $line = <$input>) {
        chomp $line;
        my @fields = split /\s+/, $line;
        for my $i (0 .. $#fields) {
            $words{$fields[$i]}++;
            $pairs{"$fields[$i - 1] $fields[$i]"}++ if $i;
        }
        (my $changed = $line) =~ s/(\w)(\w+)/\u$1$2/g;
        push @lines, { text => $changed, length => length $changed, words => [@fields] };
    }
    close $input;
    push @{ $groups{ substr $_, 0, 1 } }, $_ for sort keys %words;
    my @longest = sort { $b->{length} <=> $a->{length} || $a->{text} cmp $b->{text} } @lines;
    $total += scalar(keys %pairs) + scalar(keys %groups) + $longest[0]{length};
    $total += length join "\n", map { sprintf "%-20s %5d", $_, $words{$_} } sort keys %words;
}
print "$total\n";
