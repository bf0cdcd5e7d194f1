# A trial: a file with its arms, read by the import
cat >trial.csv <<'END'
study,treatment,n,events
example2027,neuromodulation,50,24
example2027,conservative,52,11
END
psps-paper import trial.csv --kind arms --outcome responders
psps-paper import trial.csv --kind arms --outcome responders --write
psps-paper verify
make notebooks
make check
