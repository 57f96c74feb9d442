# /etc/dovecot/sieve/junk.sieve - asks rulesd, files what it tagged, and drops what it holds: from 100 on.
require ["vnd.dovecot.filter", "fileinto", "mailbox", "envelope", "variables", "relational", "comparator-i;ascii-numeric"];
if envelope :matches "to" "*" { set "to" "${1}"; }
filter "postern" ["${to}"];
if header :matches "X-Spam-Status" "Yes, score=*.*" {
  if string :value "ge" :comparator "i;ascii-numeric" "${1}" "100" { discard; stop; }
  fileinto :create "Junk";
  stop;
}
