"""`make mutants`: change the statistics a little, one place at a time, and see which changes no test notices.

changes    what can be changed in a module
choosing   which tests run a line, and how long each takes
killing    do they notice?
"""
