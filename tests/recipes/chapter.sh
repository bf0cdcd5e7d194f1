# A chapter: begun from the template, listed, executed
make chapter NAME=age_and_harms
sed -i 's|^\( *\)- file: book/evidence_base$|&\n\1- file: book/age_and_harms|' _toc.yml
python -m psps_paper.site.notebooks book/age_and_harms.ipynb
psps-paper tables --record
make check
