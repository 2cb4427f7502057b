def main(s, ca):
    pass
